/** The MoE layer: gate, dispatch, experts, combine. */
package panamoe.moe;
