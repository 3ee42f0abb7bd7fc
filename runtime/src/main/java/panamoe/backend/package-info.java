/** Kernels of a device, and the tensors and tables that they take. */
package panamoe.backend;
