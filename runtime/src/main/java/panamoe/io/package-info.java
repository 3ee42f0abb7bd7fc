/** Files, JSON and digests. */
package panamoe.io;
