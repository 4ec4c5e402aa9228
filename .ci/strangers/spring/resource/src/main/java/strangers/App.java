package strangers;

import java.util.Base64;
import java.util.Map;
import java.util.Objects;
import javax.crypto.spec.SecretKeySpec;
import org.springframework.beans.factory.annotation.Value;
import org.springframework.boot.SpringApplication;
import org.springframework.boot.autoconfigure.SpringBootApplication;
import org.springframework.boot.autoconfigure.condition.ConditionalOnProperty;
import org.springframework.context.annotation.Bean;
import org.springframework.security.core.Authentication;
import org.springframework.security.oauth2.jose.jws.MacAlgorithm;
import org.springframework.security.oauth2.jwt.JwtClaimValidator;
import org.springframework.security.oauth2.jwt.JwtDecoder;
import org.springframework.security.oauth2.jwt.JwtValidators;
import org.springframework.security.oauth2.jwt.NimbusJwtDecoder;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.RestController;

/** An API that believes tokens as Spring Boot does when it is told an issuer. */
@SpringBootApplication
@RestController
public class App {
  public static void main(String[] args) {
    SpringApplication.run(App.class, args);
  }

  @GetMapping("/")
  Map<String, String> caller(Authentication caller) {
    return Map.of("sub", caller.getName(), "authorities", caller.getAuthorities().toString());
  }

  /**
   * Takes access tokens of RFC 9068, which the default decoder refuses, and nothing else. If it is
   * told a secret, in base64url, they are signed with HS256.
   */
  @Bean
  @ConditionalOnProperty("rfc9068.audience")
  JwtDecoder decoder(
      @Value("${spring.security.oauth2.resourceserver.jwt.issuer-uri}") String issuer,
      @Value("${rfc9068.audience}") String audience,
      @Value("${rfc9068.secret:}") String secret) {
    NimbusJwtDecoder decoder =
        secret.isEmpty()
            ? NimbusJwtDecoder.withIssuerLocation(issuer).validateType(false).build()
            : NimbusJwtDecoder.withSecretKey(new SecretKeySpec(Base64.getUrlDecoder().decode(secret), "HmacSHA256"))
                .macAlgorithm(MacAlgorithm.HS256)
                .validateType(false)
                .build();
    decoder.setJwtValidator(
        JwtValidators.createAtJwtValidator()
            .issuer(issuer)
            .audience(audience)
            // Any client: the builder wants to be told of one.
            .validators(v -> v.put("client_id", new JwtClaimValidator<String>("client_id", Objects::nonNull)))
            .build());
    return decoder;
  }
}
