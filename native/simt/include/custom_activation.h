// The emulation's custom activation: x tanh(x). Test only.
#pragma once

#include "simt/language.h"

inline float custom(float x) { return x * tanhf(x); }
inline float custom_slope(float x) { return tanhf(x) + x * (1 - tanhf(x) * tanhf(x)); }
