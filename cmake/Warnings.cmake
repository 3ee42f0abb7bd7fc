# Warnings are errors. Only explicit fused multiply-adds are fused, so that bits do not depend on the compiler. GCC's
# notes about the ABI of vector arguments do not matter here.
set(PANAMOE_WARNINGS -Wall -Wextra -Werror)
set(PANAMOE_KERNEL_OPTIONS ${PANAMOE_WARNINGS} -Wno-psabi -ffp-contract=off)
