# Compares kernels with their bounds, or with record=1 prints the current bounds.
# Input: native/cuda/resources, then the lines of occupancy.awk.
FNR == NR && /^#/ { if (record) print; next }
FNR == NR && NF {
  reason[$1] = index($0, "# ") ? substr($0, index($0, "# ")) : ""
  bound[$1 " shared"] = $3
  for (i = 4; i <= 6; ++i) if ($i != "-") bound[$1 " " column[i]] = $i
  next
}
FNR == NR { next }

{
  shared = $4 > shared_of[$1] + 0 ? $4 : shared_of[$1] + 0
  compiled_for[$2] = 1
  threads_of[$1] = $3
  shared_of[$1] = shared
  # Registers are allocated in units of 8 per thread.
  value[$1 " " $2] = int(($5 + 7) / 8) * 8 "/" $6 ($7 > 0 ? "+" $7 : "")
  if (record) next
  if (!(($1 " " $2) in bound)) { complain($1 " has no bounds: ci/cuda.d/compile --record writes them"); next }
  split(bound[$1 " " $2], most, "[/+]")
  where = $1 " on sm_" $2 ": "
  if ($5 > most[1]) complain(where $5 " registers a thread, at most " most[1] " are allowed")
  if ($6 + 0 < most[2] + 0) complain(where $6 + 0 " blocks at once on a multiprocessor, at least " most[2] + 0 " are wanted")
  if ($4 > bound[$1 " shared"]) complain(where $4 " bytes of shared memory, at most " bound[$1 " shared"] " are allowed")
  if ($7 > most[3] + 0) complain(where $7 " bytes of stack or spills, at most " most[3] + 0 " are allowed")
  if ($7 > 0 && reason[$1] == "") complain(where "spills, and its line does not give a reason")
  if ($5 + 16 < most[1] || $6 + 0 > most[2] + 0) print where $5 " registers and " $6 + 0 " blocks, its bounds are " most[1] " and " most[2] + 0 ": ci/cuda.d/compile --record tightens them"
}

function value_on(kernel, architecture) {
  return (kernel " " architecture) in value ? value[kernel " " architecture] : "-" # not compiled for it
}

function complain(sentence) { print sentence > "/dev/stderr"; bad = 1 }

BEGIN { column[4] = "80"; column[5] = "90a"; column[6] = "100" }

END {
  if (record) {
    fflush() # comments come before what sort writes
    for (kernel in threads_of)
      printf "%-75s %4d %6d %10s %10s %10s%s\n", kernel, threads_of[kernel], shared_of[kernel],
        value_on(kernel, "80"), value_on(kernel, "90a"), value_on(kernel, "100"),
        reason[kernel] == "" ? "" : "  " reason[kernel] | "LC_ALL=C sort"
    exit
  }
  for (of_kernel in bound) { # and architecture, or its shared memory
    split(of_kernel, part, " ")
    if (part[2] in compiled_for && !(part[1] in threads_of))
      complain("native/cuda/resources has " part[1] ", which is not compiled for sm_" part[2])
  }
  exit bad
}
