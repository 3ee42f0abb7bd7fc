/** Chat templates: the part of Jinja that models' templates use. */
package panamoe.conversation.template;
