# Prints a kernel's resources: kernel, architecture, threads of a block, bytes of its shared memory (static and dynamic),
# registers of a thread, blocks per multiprocessor and their limit (r registers, s shared memory, w warps, b blocks),
# bytes of stack or spills. Of instances with the same name, the worst counts.
# Input: kernel, architecture, threads, dynamic bytes, static bytes, registers, bytes of stack or spills.
# The limits: table of compute capabilities in the CUDA C++ programming guide.
function up(value, unit) { return int((value + unit - 1) / unit) * unit }

{
  kernel = $1 " " $2
  if (!(kernel in blocks)) blocks[kernel] = 99
  warps = up($3, 32) / 32
  shared = $4 + $5
  by["r"] = int(int(65536 / up($6 * 32, 256) / 4) * 4 / warps) # registers go to warps in units of 256, to 4 at a time
  by["s"] = int(($2 == "80" ? 164 : 228) * 1024 / up(shared + 1024, 128)) # the system reserves 1 KiB per block
  by["w"] = int(64 / warps)
  by["b"] = 32
  split("b r s w", limits)
  least = "b"
  for (i = 1; i <= 4; ++i) if (by[limits[i]] <= by[least]) least = limits[i]
  if (by[least] < blocks[kernel]) { blocks[kernel] = by[least]; limit[kernel] = least }
  if ($3 > threads[kernel]) threads[kernel] = $3
  if (shared > bytes[kernel]) bytes[kernel] = shared
  if ($6 > registers[kernel]) registers[kernel] = $6
  if ($7 > spilled[kernel]) spilled[kernel] = $7
}

END {
  for (kernel in blocks)
    print kernel, threads[kernel], bytes[kernel] + 0, registers[kernel], blocks[kernel] limit[kernel], spilled[kernel] + 0
}
