/** Chat templates: an interpreter for the subset of Jinja that models use. */
package panamoe.conversation.template;
