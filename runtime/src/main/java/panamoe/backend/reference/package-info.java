/** Every kernel in plain Java, in float64 where it sums. */
package panamoe.backend.reference;
