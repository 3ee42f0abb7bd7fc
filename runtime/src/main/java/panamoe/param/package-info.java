/** Parameters, their gradients, and how they start. */
package panamoe.param;
