/** Another model of a trained one: fewer layers, other experts. */
package panamoe.edit;
