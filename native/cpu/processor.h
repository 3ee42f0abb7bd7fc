// What the kernels ask of a processor beyond its vector instructions.
#pragma once

namespace moe::cpu {

// Whether the L1 cache waits for so many lines at once that weights can come to it from memory while the kernels read
// rows from the L2 cache, and that whole rows of weights may come at once for more than one panel of rows: on AMD's
// family 1Ah (Zen 5). On a Zen 4 rows then wait as well; others were not measured.
bool waits_for_many_lines();

// Whether memory gives as much past the L2 and L3 caches as through them: on AMD. On Intel (Granite Rapids) it gives a
// third.
bool streams_past_caches();

// Whether rows that lie far apart are better copied side by side before more than one panel reads them: on Intel
// (Granite Rapids), and taken to be so on all but AMD, where a Zen 4 reads them as fast where they lie, for up to eight
// panels.
bool gathers_rows_first();

// Whether there is a tile unit for bfloat16 (Intel AMX) that the system lets this process use.
bool has_tile_unit();

}  // namespace moe::cpu
