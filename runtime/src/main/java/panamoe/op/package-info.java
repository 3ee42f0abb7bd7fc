/** Ops: a forward, and the backward that it records on the tape. */
package panamoe.op;
