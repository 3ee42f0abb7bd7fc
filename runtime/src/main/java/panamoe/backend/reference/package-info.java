/** Every kernel in plain Java; sums are float64. */
package panamoe.backend.reference;
