// Comes before every header of GoogleTest's own sources: they then call the strtol of every glibc in place of the C23
// form that glibc 2.38 brought, so that the test program runs on older systems too.
#include <features.h>
#undef __GLIBC_USE_C2X_STRTOL
#undef __GLIBC_USE_C23_STRTOL
#define __GLIBC_USE_C2X_STRTOL 0
#define __GLIBC_USE_C23_STRTOL 0
