/** Communication by Open MPI. */
package panamoe.comm.mpi;
