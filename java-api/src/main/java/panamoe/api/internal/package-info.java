/** Internals that Panamoe's modules share. They may change in any version. */
package panamoe.api.internal;
