/** From messages, functions and documents to a prompt, and from a model's text to its reply. */
package panamoe.conversation;
