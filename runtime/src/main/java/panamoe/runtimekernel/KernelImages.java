package panamoe.runtimekernel;

/** A source of machine code for runtime kernels. */
interface KernelImages {
  /** The image of a kernel for a device of this target, such as "sm_90". */
  byte[] of(RuntimeKernel kernel, String target);
}
