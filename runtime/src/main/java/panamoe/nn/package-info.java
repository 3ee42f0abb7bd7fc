/** Layers other than the MoE layer, written forward only. */
package panamoe.nn;
