/** The exchange of rows between ranks that hold different experts. */
package panamoe.comm.exchange;
