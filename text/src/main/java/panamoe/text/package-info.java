/**
 * Language models that write text. A {@link panamoe.text.MoeModel} is opened on a {@link
 * panamoe.api.Device}, and what holds of devices holds of it: one thread at a time may call it.
 */
package panamoe.text;
