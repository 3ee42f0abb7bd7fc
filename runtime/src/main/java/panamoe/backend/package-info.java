/** What a device computes: kernels, and the tensors and tables that they take. */
package panamoe.backend;
