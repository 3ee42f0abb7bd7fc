/** Communication between NVIDIA cards by NCCL. */
package panamoe.comm.nccl;
