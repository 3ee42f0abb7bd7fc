/** Communicators over messages between every two ranks, whatever carries them. */
package panamoe.comm.message;
