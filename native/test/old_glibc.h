// Included before every header of GoogleTest's sources: they then call the strtol that every glibc has, not the C23
// form of glibc 2.38, so that the test program runs on older systems too.
#include <features.h>
#undef __GLIBC_USE_C2X_STRTOL
#undef __GLIBC_USE_C23_STRTOL
#define __GLIBC_USE_C2X_STRTOL 0
#define __GLIBC_USE_C23_STRTOL 0
