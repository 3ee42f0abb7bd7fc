/** Communication by TCP, between processes that anything may have started. */
package panamoe.comm.tcp;
