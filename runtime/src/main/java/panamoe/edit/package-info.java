/** Surgery on trained models: fewer layers, other experts. */
package panamoe.edit;
