-- Returns {'OK', first of `count` consecutive slice ids}.
--@needs core mutate fresh
return mutate.finish({ 'OK', fmt(fresh.slices(arg.count)) })
