/** CUDA kernels that NVRTC compiles while a program runs. */
package panamoe.runtimekernel;
