/** A student that learns from a teacher. */
package panamoe.distill;
