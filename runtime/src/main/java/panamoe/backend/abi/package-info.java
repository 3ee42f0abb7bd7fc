/** The kernels of the native library, as downcalls. */
package panamoe.backend.abi;
