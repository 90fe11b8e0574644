-- mtime and ctime of what changes.
--@needs now
local times = {}

-- The time (s, n), or the next nanosecond after (after_s, after_n) when that is not earlier: the times of an inode never
-- go back, whatever a clock does.
function times.after(s, n, after_s, after_n)
  if s > after_s or (s == after_s and n > after_n) then return s, n end
  if after_n == 999999999 then return after_s + 1, 0 end
  return after_s, after_n + 1
end

-- Sets mtime and ctime (content changed) or ctime alone to the server's time. What utimens had set is then history.
function times.change(a)
  a.cs, a.cn = times.after(now.s, now.ns, a.cs, a.cn)
end

function times.content(a)
  if a.set_us > 0 then a.ms, a.mn = now.s, now.ns else a.ms, a.mn = times.after(now.s, now.ns, a.ms, a.mn) end
  a.set_us = 0
  times.change(a)
end

-- How long ago a write may lie whose time this client has shown as ctime, microseconds.
local SHOWN_US = 1000000

-- Times of a commit whose last write was at (sec, nsec), server time, never in the future.
-- mtime: the write's time, but a utimens that came after the write wins; a write after a utimens wins over it; otherwise
-- it goes forward. ctime: now, for that is when others see the change; the write's time when the client has shown it
-- (`shown`) and it is recent, so that what fstat said before close(2) still holds after it.
function times.commit(a, sec, nsec, shown)
  if sec > now.s or (sec == now.s and nsec > now.ns) then sec, nsec = now.s, now.ns end
  local us = sec * 1000000 + math.floor(nsec / 1000)
  if a.set_us <= us then
    if a.set_us == 0 then a.ms, a.mn = times.after(sec, nsec, a.ms, a.mn) else a.ms, a.mn = sec, nsec end
    a.set_us = 0
  end
  if not shown or now.us - us > SHOWN_US then sec, nsec = now.s, now.ns end
  a.cs, a.cn = times.after(sec, nsec, a.cs, a.cn)
end
