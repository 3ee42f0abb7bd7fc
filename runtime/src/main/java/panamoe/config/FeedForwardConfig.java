package panamoe.config;

import com.fasterxml.jackson.annotation.JsonSubTypes;
import com.fasterxml.jackson.annotation.JsonTypeInfo;

/** The second half of a block: a dense MLP or a Mixture-of-Experts layer. */
@JsonTypeInfo(use = JsonTypeInfo.Id.NAME, property = "kind")
@JsonSubTypes({
  @JsonSubTypes.Type(value = DenseConfig.class, name = "DENSE"),
  @JsonSubTypes.Type(value = MoeConfig.class, name = "MOE")
})
public sealed interface FeedForwardConfig permits DenseConfig, MoeConfig {}
