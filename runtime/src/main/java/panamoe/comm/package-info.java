/** Communication between ranks: threads of a process, or processes. */
package panamoe.comm;
