-- ARGV[4] count. Returns {'OK', first of `count` consecutive slice ids}.
--@include core
--@include mutate
return finish({ 'OK', fmt(new_slices(tonumber(ARGV[4]))) })
