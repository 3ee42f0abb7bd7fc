/** Parameters, their gradients and initial values. */
package panamoe.param;
