# Warnings are errors, and only what the sources spell as a fused multiply-add is fused: results that must agree bit by
# bit do not depend on the compiler. GCC's notes about the ABI of vector arguments concern no caller of ours.
set(PANAMOE_WARNINGS -Wall -Wextra -Werror)
set(PANAMOE_KERNEL_OPTIONS ${PANAMOE_WARNINGS} -Wno-psabi -ffp-contract=off)
