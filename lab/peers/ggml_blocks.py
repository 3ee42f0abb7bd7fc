#!/usr/bin/env python3
"""Records block formats of ggml by running its library (ci/fetch/peers).

    python3 lab/peers/ggml_blocks.py build/peers/llama

writes the grids that decoders look up, runtime/src/main/resources/panamoe/blocks/grids.bin, and conformance cases of
ggml's values, lab/golden/gguf/quant/*.safetensors. A grid is found by decoding a block for each of its indices. Its
numbers are ranks among its levels, in ascending order, of 2 or 3 bits from the lowest bit on.
"""
import ctypes
import json
import pathlib
import random
import struct
import sys

LIBRARY = ctypes.CDLL(str(pathlib.Path(sys.argv[1]).resolve() / "libggml-base.so"))
LIBRARY.ggml_quantize_chunk.restype = ctypes.c_size_t
ROOT = pathlib.Path(__file__).resolve().parents[2]

# Name: number in GGUF, bytes and elements of a block, offset of its scale in binary16.
FORMATS = {
    "IQ2_XXS": (16, 66, 256, 0),
    "IQ2_XS": (17, 74, 256, 0),
    "IQ3_XXS": (18, 98, 256, 0),
    "IQ1_S": (19, 50, 256, 0),
    "IQ3_S": (21, 110, 256, 0),
    "IQ2_S": (22, 82, 256, 0),
    "IQ1_M": (29, 56, 256, None),
    "NVFP4": (40, 36, 64, None),
}

# Format, indices, numbers of an entry, bits of a number, byte of a block that has the index's high bits.
GRIDS = [
    ("IQ2_XXS", 256, 8, 2, None),
    ("IQ2_XS", 512, 8, 2, 3),
    ("IQ2_S", 1024, 8, 2, 66),
    ("IQ3_XXS", 256, 4, 3, None),
    ("IQ3_S", 512, 4, 3, 66),
    ("IQ1_S", 2048, 8, 2, 34),
]


def decoded(name, blocks):
    _, size, elements, _ = FORMATS[name]
    count = len(blocks) // size * elements
    values = (ctypes.c_float * count)()
    function = getattr(LIBRARY, "dequantize_row_" + name.lower())
    function(ctypes.c_char_p(bytes(blocks)), values, ctypes.c_int64(count))
    return list(values)


def quantized(name, values, columns):
    number, size, elements, _ = FORMATS[name]
    blocks = ctypes.create_string_buffer(len(values) // elements * size)
    floats = (ctypes.c_float * len(values))(*values)
    weights = (ctypes.c_float * columns)(*[1.0] * columns)
    rows = len(values) // columns
    LIBRARY.ggml_quantize_chunk(
        number, floats, blocks, ctypes.c_int64(0), ctypes.c_int64(rows), ctypes.c_int64(columns), weights)
    return blocks.raw


def grid(name, indices, width, bits, high):
    entries = []
    for index in range(indices):
        block = bytearray(FORMATS[name][1])
        block[0:2] = struct.pack("<e", 1)
        block[2] = index & 255
        if high is not None:
            block[high] = index >> 8
        entries += decoded(name, block)[:width]
    levels = sorted(set(entries))
    assert len(levels) <= 1 << bits, name
    packed = sum(levels.index(value) << i * bits for i, value in enumerate(entries))
    return packed.to_bytes(len(entries) * bits // 8, "little")


def random_blocks(name, count, drawn):
    _, size, _, scale = FORMATS[name]
    blocks = bytearray(drawn.randbytes(count * size))
    for at in range(0, len(blocks), size):
        half = struct.pack("<e", drawn.uniform(0.001, 0.02))
        if scale is not None:
            blocks[at + scale:at + scale + 2] = half
        elif name == "IQ1_M":  # four bits of the scale in the high bits of each factor of 16
            for i in range(4):
                nibble = half[i // 2] >> 4 * (i % 2) & 15
                blocks[at + 49 + 2 * i] = blocks[at + 49 + 2 * i] & 15 | nibble << 4
    return bytes(blocks)


def write(name):
    drawn = random.Random(name)
    _, size, elements, _ = FORMATS[name]
    blocks = quantized(name, [drawn.gauss(0, 1) for _ in range(2 * 512)], 512)
    others = random_blocks(name, 16, drawn)
    tensors = {
        "blocks": ("U8", [2, len(blocks) // 2], blocks),
        "y": ("F32", [2, 512], struct.pack("<1024f", *decoded(name, blocks))),
        "random_blocks": ("U8", [16, size], others),
        "random_y": ("F32", [16, elements], struct.pack(f"<{16 * elements}f", *decoded(name, others))),
    }
    golden = {"type": name, "block_elements": elements, "block_bytes": size}
    header = {"__metadata__": {"op": "ggml.quantize." + name, "golden": json.dumps(golden)}}
    data = b""
    for key, (dtype, shape, content) in tensors.items():
        end = len(data) + len(content)
        header[key] = {"dtype": dtype, "shape": shape, "data_offsets": [len(data), end]}
        data += content
    head = json.dumps(header).encode()
    head += b" " * (-len(head) % 8)
    file = ROOT / "lab/golden/gguf/quant" / (name.lower() + ".safetensors")
    file.write_bytes(struct.pack("<Q", len(head)) + head + data)


resource = ROOT / "runtime/src/main/resources/panamoe/blocks/grids.bin"
resource.parent.mkdir(parents=True, exist_ok=True)
resource.write_bytes(b"".join(grid(*each) for each in GRIDS))
for each in FORMATS:
    write(each)
