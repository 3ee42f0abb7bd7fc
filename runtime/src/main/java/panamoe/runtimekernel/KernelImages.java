package panamoe.runtimekernel;

/** Where the machine code of runtime kernels comes from. */
interface KernelImages {
  /** The image of a kernel for a device of this target, such as "sm_90". */
  byte[] of(RuntimeKernel kernel, String target);
}
