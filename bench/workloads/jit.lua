-- What the workload "jit" runs in LuaJIT: hundreds of functions that are compiled, run hot and are forgotten, and some that run long.
local bit = require("bit")
assert(jit.status())
local sum = 0
local function mix(x) sum = bit.bxor(bit.rol(sum, 5), bit.tobit(x)) end

-- Programs that are made as text: each becomes a trace or two of its own.
for i = 1, 400 do
  local f = assert(loadstring(string.format(
    "local bit = require('bit') return function(n) local x = %d for k = 1, n do x = bit.bxor(x * %d %% 65521, k) if x %% %d == 0 then x = x + k end end return x end",
    i, i % 97 + 3, i % 13 + 2)))()
  mix(f(2000))
end

-- The spectral norm of a matrix, with tables of numbers.
local function a(i, j) local k = i + j return 1 / (k * (k + 1) / 2 + i + 1) end
local function times(n, x, y, transposed)
  for i = 0, n - 1 do
    local s = 0
    for j = 0, n - 1 do s = s + x[j] * (transposed and a(j, i) or a(i, j)) end
    y[i] = s
  end
end
local n, u, v, t = 120, {}, {}, {}
for i = 0, n - 1 do u[i] = 1 end
for _ = 1, 10 do times(n, u, t, false) times(n, t, v, true) times(n, v, t, false) times(n, t, u, true) end
local uv, vv = 0, 0
for i = 0, n - 1 do uv, vv = uv + u[i] * v[i], vv + v[i] * v[i] end
mix(math.floor(math.sqrt(uv / vv) * 1e9) % 2^31)

-- Words and their counts: strings, hashing, sorting, garbage.
local counts, words = {}, {}
for i = 1, 40000 do
  local word = "w" .. (i * 7919 % 1009)
  counts[word] = (counts[word] or 0) + i
end
for word in pairs(counts) do words[#words + 1] = word end
table.sort(words)
for i, word in ipairs(words) do mix(counts[word] * i % 2^31) end
print(bit.tohex(sum))
