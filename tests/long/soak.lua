-- Requests from a file, in turn; how many answers had which status. Every error is counted; of 200 and 304 the last up
-- to 49 of a round are not, since the text that tells them is made anew at every fiftieth only.
local lines, next_line = {}, 0
counts = ""
local seen = {}
local threads = {}

function setup(thread)
  table.insert(threads, thread)
end

function init(args)
  for line in io.lines(args[1]) do
    local method, target, key, etag, body = line:match("^(%S+)\t(%S+)\t(%S+)\t([^\t]*)\t(.*)$")
    local headers = { ["Authorization"] = "Bearer " .. key }
    if etag ~= "" then headers["If-None-Match"] = etag end
    if body ~= "" then headers["Content-Type"] = "application/json" else body = nil end
    table.insert(lines, wrk.format(method, target, headers, body))
  end
  next_line = tonumber(args[2]) % #lines
end

function request()
  next_line = next_line % #lines + 1
  return lines[next_line]
end

function response(status)
  seen[status] = (seen[status] or 0) + 1
  local text = {}
  if seen[status] % 50 == 1 or status >= 400 then
    for code, count in pairs(seen) do table.insert(text, code .. "=" .. count) end
    counts = table.concat(text, " ")
  end
end

function done(summary, latency)
  for _, thread in ipairs(threads) do
    io.write("statuses " .. thread:get("counts") .. "\n")
  end
  local e = summary.errors
  io.write(string.format("requests %d connect %d read %d write %d timeout %d p50 %d p99 %d\n", summary.requests,
    e.connect, e.read, e.write, e.timeout, latency:percentile(50), latency:percentile(99)))
end
