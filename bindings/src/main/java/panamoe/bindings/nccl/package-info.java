/** NCCL's functions as jextract sees them. */
package panamoe.bindings.nccl;
