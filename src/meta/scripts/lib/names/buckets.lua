-- Buckets: top-level directories whose names S3 allows for buckets.
-- https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
local buckets = {}

function buckets.is_name(name)
  if #name < 3 or #name > 63 then return false end
  if not string.find(name, '^[a-z0-9][a-z0-9.-]*[a-z0-9]$') then return false end
  if string.find(name, '%.[.-]') or string.find(name, '-.', 1, true) then return false end
  if string.find(name, '^%d+%.%d+%.%d+%.%d+$') then return false end
  if string.find(name, '^xn%-%-') or string.find(name, '^sthree%-') then return false end
  return not (string.find(name, '%-s3alias$') or string.find(name, '%-%-ol%-s3$') or string.find(name, '%-%-x%-s3$'))
end
