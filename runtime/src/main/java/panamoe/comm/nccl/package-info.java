/** Communication between NVIDIA GPUs by NCCL. */
package panamoe.comm.nccl;
