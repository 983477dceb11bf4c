-- wrk: one small FolderSync after the other, each from the next of BENCH_DEVICES devices, and the result as one line of JSON
local b64 = {}
for line in io.lines(os.getenv("BENCH_CREDENTIALS")) do b64[#b64 + 1] = line end
local body = "\3\1\106\0\0\7\86\82\3\48\0\1\1"   -- <FolderSync><SyncKey>0</SyncKey></FolderSync>
local prepared, next_one = {}, 0

function init(args)
  for n = 0, #b64 - 1 do
    local path = string.format("%s?Cmd=FolderSync&User=user%d%%40example.com&DeviceId=BENCHDEVICE%06d&DeviceType=%s",
      "/Microsoft-Server-ActiveSync", n, n, n % 2 == 0 and "iPhone" or "SAMSUNGSMG991B")
    prepared[n] = wrk.format("POST", path, {
      ["Authorization"] = "Basic " .. b64[n + 1],
      ["Content-Type"] = "application/vnd.ms-sync.wbxml",
      ["MS-ASProtocolVersion"] = "14.1",
      ["X-MS-PolicyKey"] = "1234567890",
      ["User-Agent"] = "Apple-iPhone8C4/1504.100",
      ["Host"] = "mail.example.com",
    }, body)
  end
end

function request()
  next_one = (next_one + 1) % #b64
  return prepared[next_one]
end

function done(summary, latency, requests)
  io.write(string.format('\nRESULT {"requests": %d, "seconds": %.6f, "bad": %d, "p50_us": %d, "p99_us": %d}\n', summary.requests,
    summary.duration / 1e6, summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.status + summary.errors.timeout,
    latency:percentile(50), latency:percentile(99)))
end
