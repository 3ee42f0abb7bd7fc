/** Ops: a forward, and the backward that it leaves on the tape. */
package panamoe.op;
