/** Communicators over messages between every two ranks, for any transport. */
package panamoe.comm.message;
