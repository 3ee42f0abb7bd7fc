/** Open MPI's functions as jextract sees them. */
package panamoe.bindings.mpi;
