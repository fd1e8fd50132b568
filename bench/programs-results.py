# Results of Debian's Python and ISA-L in the guest of bench/programs, by digests: they are to be the same on every model of CPU.
import bz2, cmath, decimal, fractions, hashlib, json, lzma, math, random, statistics, struct, sys, zlib
from isal import isal_zlib

data = open('data', 'rb').read()


def result(name, value):
    print('result', name, hashlib.sha256(value if isinstance(value, bytes) else repr(value).encode()).hexdigest()[:16], flush=True)


sys.set_int_max_str_digits(0)
random.seed(1)
numbers = [random.uniform(-50, 50) for _ in range(20000)]
for function in (math.sin, math.cos, math.tan, math.atan, math.exp, math.sinh, math.cosh, math.tanh, math.erf, math.gamma, math.cbrt, math.exp2):
    try:
        result('python math.' + function.__name__, [function(x) for x in numbers])
    except ValueError as e:
        result('python math.' + function.__name__, str(e))
result('python math.log', [math.log(abs(x)) for x in numbers])
result('python math.pow', [math.pow(abs(x), y / 10) for x, y in zip(numbers, numbers[1:])])
result('python math.fma', [math.fma(x, y, 1.5) for x, y in zip(numbers, numbers[1:])])
result('python math.sumprod', math.sumprod(numbers, numbers[::-1]))
result('python round', [round(x) for x in numbers] + [math.floor(x) for x in numbers] + [int(x * 1e9) for x in numbers])
result('python cmath.exp', [cmath.exp(complex(x, y) / 20) for x, y in zip(numbers, numbers[1:])])
result('python statistics', (statistics.mean(numbers), statistics.stdev(numbers), statistics.quantiles(numbers)))
result('python decimal', [decimal.Decimal(x).sqrt() for x in range(1000)])
result('python fractions', sum(fractions.Fraction(1, x) for x in range(1, 300)))
result('python long', 3 ** 40000 // 7 ** 9000)
result('python json', json.loads(json.dumps(numbers)) == numbers)
result('python struct', struct.pack('<20000e', *[x for x in numbers]) + struct.pack('<20000f', *numbers))
result('python zlib', zlib.decompress(zlib.compress(data, 6)) == data)
result('python bz2', bz2.compress(data[:1 << 20]))
result('python lzma', lzma.compress(data[:1 << 20]))
text = b' '.join(b'%d' % int(x) for x in numbers) * 10
for level in range(4):
    packed = isal_zlib.compress(text, level)
    result(f'isa-l level {level}', (isal_zlib.decompress(packed) == text, zlib.decompress(packed) == text))
result('isa-l checksums', (isal_zlib.crc32(data), isal_zlib.adler32(data), zlib.crc32(data) == isal_zlib.crc32(data)))
result('isa-l checksums of odd pieces', [(isal_zlib.crc32(data[i:i * 3]), isal_zlib.adler32(data[i:i * 3])) for i in range(1, 2000)])
